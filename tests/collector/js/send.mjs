// A client that nobody here wrote, OpenTelemetry's SDK for JavaScript, sends one of everything and prints what it sent.
//
// node send.mjs WAY ADDRESS FUNCTION    (json, proto or grpc; "+gzip" after it)
// prints one line of JSON; exits with 1 and the exporter's error if an export failed.
import { createRequire } from "node:module";
import { createTraceState, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, TraceFlags } from "@opentelemetry/api";
import { SeverityNumber } from "@opentelemetry/api-logs";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { LoggerProvider, SimpleLogRecordProcessor } from "@opentelemetry/sdk-logs";
import { AggregationTemporality, AggregationType, MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";

const [way, address, name] = process.argv.slice(2);
const [protocol, compression] = way.split("+");
const library = createRequire(import.meta.url);
const failures = []; // of exports: the SDK itself would only log them

function exporterOf(signal, className) {
  const packages = { json: "http", proto: "proto", grpc: "grpc" };
  const module = library(`@opentelemetry/exporter-${signal}-otlp-${packages[protocol]}`);
  const url = protocol === "grpc" ? `http://${address}` : `http://${address}/v1/${signal === "trace" ? "traces" : signal}`;
  const temporalityPreference = AggregationTemporality.DELTA;
  const exporter = new module[className]({ url, compression: compression ?? "none", timeoutMillis: 30000, temporalityPreference });
  const inner = exporter.export.bind(exporter);
  exporter.export = (items, done) => inner(items, (result) => { if (result.error) failures.push(result.error); done(result); });
  return exporter;
}

// Values as [type, text], the types being those that OTLP has: JavaScript's whole numbers go out as integers.
const values = {
  zero: [0, "int", "0"], no: [false, "bool", "false"], yes: [true, "bool", "true"], empty: ["", "string", ""],
  text: ["żółw 🐢 \u0000 \n", "string", "żółw 🐢 \u0000 \n"], digits: ["0", "string", "0"],
  big: [Number.MAX_SAFE_INTEGER, "int", "9007199254740991"], negative: [-Number.MAX_SAFE_INTEGER, "int", "-9007199254740991"],
  half: [0.5, "double", "0.5"], tiny: [5e-324, "double", "5e-324"],
};
// Plain numbers of JSON cannot be these: its exporter writes null, which is no value.
const odd = protocol === "json"
  ? { nan: [NaN, "none", ""], infinite: [Infinity, "none", ""], huge: [1e21, "double", "1e21"] }
  : { nan: [NaN, "double", "nan"], infinite: [Infinity, "double", "inf"] };
const cut = { cut: ["half an emoji \ud83d", "string", "half an emoji \ufffd"] };
const lists = { list: [["a", "", "b"], "array", '["a","","b"]'], numbers: [[0, 1], "array", "[0,1]"], none: [[], "array", "[]"] };
const all = { ...values, ...odd, ...cut, ...lists };
const sent = (described) => Object.fromEntries(Object.entries(described).map(([key, [, type, text]]) => [key, [type, text]]));
const given = (described) => Object.fromEntries(Object.entries(described).map(([key, [value]]) => [key, value]));
const resource = resourceFromAttributes({ "service.name": name, "faas.name": name, "process.pid": 7 });

const traceId = "0af7651916cd43dd8448eb211c80319c";
const spanId = "b7ad6b7169203331";

async function traces() {
  const processor = new SimpleSpanProcessor({ exporter: exporterOf("trace", "OTLPTraceExporter") });
  const provider = new TracerProvider({ resource, spanProcessors: [processor] });
  const tracer = provider.getTracer("js-scope", "1.2.3");
  const traceState = createTraceState("vendor=x,faasight=f:a");
  const parent = trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: TraceFlags.SAMPLED, isRemote: true, traceState });
  const linked = { traceId: "1af7651916cd43dd8448eb211c80319d", spanId: "c7ad6b7169203332", traceFlags: TraceFlags.NONE };
  const links = [{ context: linked, attributes: { n: 1 } }];
  const span = tracer.startSpan("from JavaScript", { kind: SpanKind.CLIENT, attributes: given(all), links }, parent);
  span.addEvent("happened", { n: 0, ok: false });
  span.setStatus({ code: SpanStatusCode.ERROR, message: "it broke" });
  span.end();
  await provider.forceFlush();
  await provider.shutdown();
  const start = BigInt(span.startTime[0]) * 1000000000n + BigInt(span.startTime[1]);
  return { trace_id: traceId, span_id: span.spanContext().spanId, parent: spanId, trace_state: traceState.serialize(),
    name: "from JavaScript", kind: 3, status: [2, "it broke"], start: String(start), attributes: sent(all),
    link: [linked.traceId, linked.spanId], event: "happened", scope: ["js-scope", "1.2.3"] };
}

async function logs() {
  const processor = new SimpleLogRecordProcessor({ exporter: exporterOf("logs", "OTLPLogExporter") });
  const provider = new LoggerProvider({ resource, processors: [processor] });
  const logger = provider.getLogger("js-scope", "1.2.3");
  const nested = { list: [1, [0.5, null]], map: { bytes: new Uint8Array([0, 255]) } };
  const bodies = { string: "plain", int: 0, bool: false, array: [1, "a"], map: { a: { b: 0 } }, bytes: new Uint8Array([0, 255]) };
  const context = trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: TraceFlags.SAMPLED });
  for (const body of Object.values(bodies))
    logger.emit({ timestamp: Date.now(), severityNumber: SeverityNumber.WARN2, severityText: "warning", eventName: "checked",
      body, attributes: { ...given(all), nested }, context });
  await provider.forceFlush();
  await provider.shutdown();
  const texts = { string: "plain", int: "0", bool: "false", array: '[1,"a"]', map: '{"a":{"b":0}}', bytes: "AP8=" };
  return { attributes: sent(all), bodies: texts, nested: '{"list":[1,[0.5,null]],"map":{"bytes":"AP8="}}',
    severity: [14, "warning"], event: "checked", trace_id: traceId, span_id: spanId };
}

async function metrics() {
  const reader = new PeriodicExportingMetricReader({
    exporter: exporterOf("metrics", "OTLPMetricExporter"), exportIntervalMillis: 3600000, exportTimeoutMillis: 30000 });
  const explicit = { type: AggregationType.EXPLICIT_BUCKET_HISTOGRAM, options: { boundaries: [1, 10] } };
  const views = [
    { instrumentName: "exponential", aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } },
    { instrumentName: "latency", aggregation: explicit },
  ];
  const provider = new MeterProvider({ resource, readers: [reader], views });
  const meter = provider.getMeter("js-scope", "1.2.3");
  meter.createCounter("orders", { unit: "{order}", description: "bought" }).add(3, { shop: "a" });
  meter.createUpDownCounter("queue").add(-2);
  meter.createObservableGauge("temperature").addCallback((result) => result.observe(-0.5));
  const [latency, exponential] = [meter.createHistogram("latency", { unit: "ms" }), meter.createHistogram("exponential")];
  for (const value of [0.5, 5, 50]) {
    latency.record(value);
    exponential.record(value);
  }
  await provider.forceFlush();
  await provider.shutdown();
  return { orders: ["sum", 3, 0], queue: ["sum", -2, 0], temperature: ["gauge", -0.5, 0], latency: ["histogram", 55.5, 3],
    exponential: ["exponential_histogram", 55.5, 3] };
}

const told = { traces: await traces(), logs: await logs(), metrics: await metrics() };
if (failures.length) {
  console.error(failures);
  process.exit(1);
}
console.log(JSON.stringify(told));
process.exit(0);
