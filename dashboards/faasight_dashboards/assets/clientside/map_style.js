/* How the invocation map looks: node cards as pictures, and the stylesheet. Cytoscape draws on a canvas and knows no
   var(), so colours are read from the page's theme each time it changes. Cards are drawn on a canvas too: an SVG image
   sees none of the page's fonts. */
(() => {
  const FONT = '"Inter Variable", Inter, system-ui, sans-serif';
  const CARD = { height: 52, text: 46, padding: 10 };
  const TITLE = '600 13px';
  const DETAIL = '10.5px';
  const SHARP = 3;
  const SHARP_WHEN_MANY = 2;
  const MANY = 80; // nodes
  const RING = { x: 24, y: 26, radius: 15 };

  /* Strokes in a box of 24 by 24, and a colour that reads on both backgrounds. */
  const KINDS = {
    function: { color: '#7c6cf2', path: 'M9 17c2 0 2.8-1 2.8-2.8V10c0-2 1-3.3 3.2-3M9 11.2h5.7' },
    api: { color: '#3d8bfd', path: 'M4.5 12h15M12 4.5c3 3.4 3 11.6 0 15M12 4.5c-3 3.4-3 11.6 0 15' },
    url: { color: '#3d8bfd', path: 'M10 14a4 4 0 0 0 5.7 0l2.6-2.6a4 4 0 0 0-5.7-5.7L11.5 6.8M14 10a4 4 0 0 0-5.7 0L5.7 12.6a4 4 0 0 0 5.7 5.7l1.1-1.1' },
    queue: { color: '#d98a04', path: 'M5 7.5h14M5 12h14M5 16.5h9' },
    topic: { color: '#d6409f', path: 'M5 10v4l11 4.5V5.5zM8 15v3.5h3' },
    stream: { color: '#d98a04', path: 'M4 9c3-3 5 3 8 0s5 3 8 0M4 15c3-3 5 3 8 0s5 3 8 0' },
    table: { color: '#0e99ab', path: 'M5 6.5h14v11H5zM5 11h14M10.5 6.5v11' },
    bucket: { color: '#2a9d68', path: 'M5 7h14l-2 11.5H7z' },
    schedule: { color: '#7d8699', path: 'M12 7v5.2l3.4 2' },
    bus: { color: '#d6409f', path: 'M4 12h16M8 7v5M16 7v5M12 12v5' },
    workflow: { color: '#7c6cf2', path: 'M5 5.5h5.5V11H5zM13.5 13H19v5.5h-5.5zM7.7 11v5h5.8' },
    cdn: { color: '#3d8bfd', path: 'M7 16.5a3.7 3.7 0 0 1 .4-7.4 5 5 0 0 1 9.5 1.4 3 3 0 0 1-.4 6z' },
    iot: { color: '#2a9d68', path: 'M8.5 8.5h7v7h-7zM10.5 8.5v-3M13.5 8.5v-3M10.5 18.5v-3M13.5 18.5v-3M8.5 10.5h-3M8.5 13.5h-3M18.5 10.5h-3M18.5 13.5h-3' },
    service: { color: '#d98a04', path: 'M12 5l6 3.5v7L12 19l-6-3.5v-7zM12 12l6-3.5M12 12v7M12 12L6 8.5' },
    external: { color: '#7d8699', path: 'M7.5 16.5l9-9M9 7.5h7.5V15' },
  };

  /* Letters of our own, no marks of theirs. */
  const CLOUDS = {
    aws: { letters: 'λ', color: '#b86e00', name: 'AWS Lambda' },
    gcp: { letters: 'G', color: '#2f6fde', name: 'Google Cloud' },
    azure: { letters: 'Az', color: '#0072c6', name: 'Azure Functions' },
  };
  const BADGE = { x: 35.5, y: 38, radius: 7.5 };

  const pencil = document.createElement('canvas').getContext('2d');

  const textWidth = (text, font) => {
    pencil.font = `${font} ${FONT}`;
    return pencil.measureText(text).width;
  };

  const shorten = (text, font, width) => {
    if (textWidth(text, font) <= width) return text;
    let end = text.length;
    while (end > 1 && textWidth(`${text.slice(0, end)}…`, font) > width) end--;
    return `${text.slice(0, end)}…`;
  };

  /* The colours of the theme in force. */
  const theme = () => {
    const style = getComputedStyle(document.documentElement);
    const read = name => style.getPropertyValue(name).trim();
    return {
      card: read('--panel'), ground: read('--panel2'), line: read('--line2'), text: read('--text'), muted: read('--muted'),
      ok: read('--ok'), warn: read('--warn'), error: read('--err'), accent: read('--accent'),
    };
  };

  const arc = (brush, color, width, share) => {
    brush.beginPath();
    brush.arc(RING.x, RING.y, RING.radius, -Math.PI / 2, (2 * share - 0.5) * Math.PI);
    brush.strokeStyle = color;
    brush.lineWidth = width;
    brush.stroke();
  };

  /* Health as a ring: what failed or was turned away covers the green. */
  const drawRing = (brush, node, colors) => {
    arc(brush, node.kind === 'function' ? colors.ok : colors.line, 2.5, 1);
    if (node.ill_share) arc(brush, node.status === 'warn' ? colors.warn : colors.error, 3, Math.max(0.04, node.ill_share));
  };

  const drawIcon = (brush, kind) => {
    const { color, path } = KINDS[kind] || KINDS.external;
    brush.save();
    brush.translate(RING.x - 12, RING.y - 12);
    Object.assign(brush, { strokeStyle: color, lineWidth: 1.9, lineCap: 'round', lineJoin: 'round' });
    brush.stroke(new Path2D(path));
    brush.restore();
  };

  /* Whose cloud a function runs in, where there are several. */
  const drawCloud = (brush, cloud, ground) => {
    const { letters, color } = CLOUDS[cloud];
    brush.beginPath();
    brush.arc(BADGE.x, BADGE.y, BADGE.radius, 0, 2 * Math.PI);
    Object.assign(brush, { fillStyle: color, strokeStyle: ground, lineWidth: 1.5 });
    brush.fill();
    brush.stroke();
    Object.assign(brush, { fillStyle: '#fff', font: `700 8.5px ${FONT}`, textAlign: 'center', textBaseline: 'middle' });
    brush.fillText(letters, BADGE.x, BADGE.y + 0.5);
    Object.assign(brush, { textAlign: 'start', textBaseline: 'alphabetic' });
  };

  const write = (brush, text, y, font, color) => {
    brush.font = `${font} ${FONT}`;
    brush.fillStyle = color;
    brush.fillText(text, CARD.text, y);
  };

  /** The picture of a node's card; `scale` is pixels for one of the card's. */
  const card = (node, colors, scale) => {
    const room = node.width - CARD.text - CARD.padding;
    const canvas = document.createElement('canvas');
    canvas.width = node.width * scale;
    canvas.height = CARD.height * scale;
    const brush = canvas.getContext('2d');
    brush.scale(scale, scale);
    drawRing(brush, node, colors);
    drawIcon(brush, node.kind);
    if (CLOUDS[node.cloud]) drawCloud(brush, node.cloud, colors.card);
    write(brush, shorten(node.label, TITLE, room), 23, TITLE, colors.text);
    write(brush, shorten(node.detail, DETAIL, room), 39.5, DETAIL, node.status === 'error' ? colors.error : colors.muted);
    return canvas.toDataURL();
  };

  const stylesheet = colors => {
    const rule = (selector, style) => ({ selector, style });
    const status = (name, color) => [
      rule(`node[status='${name}']`, { 'border-color': color, 'border-width': 1.8 }),
      rule(`edge[status='${name}']`, { 'line-color': color, 'target-arrow-color': color, color }),
    ];
    return [
      rule('node', {
        shape: 'round-rectangle', width: 'data(width)', height: CARD.height, 'background-color': colors.card,
        'border-width': 1.2, 'border-color': colors.line, 'background-image': 'data(image)', 'background-fit': 'cover',
        'background-image-smoothing': 'yes', 'overlay-opacity': 0,
      }),
      rule('edge', {
        width: 'data(thickness)', 'curve-style': 'unbundled-bezier', 'edge-distances': 'node-position',
        'control-point-weights': 'data(weights)', 'control-point-distances': 'data(distances)',
        'source-endpoint': 'data(leaves)', 'target-endpoint': 'data(enters)',
        'line-color': colors.line, 'target-arrow-color': colors.line, 'target-arrow-shape': 'triangle', 'arrow-scale': 0.85,
        'font-size': 10.5, 'font-family': FONT, color: colors.muted,
        'text-background-color': colors.ground, 'text-background-opacity': 0.92, 'text-background-padding': 2,
        'min-zoomed-font-size': 6, 'text-wrap': 'wrap', 'overlay-opacity': 0,
      }),
      rule('edge:loop', { 'curve-style': 'bezier', 'source-endpoint': 'outside-to-node', 'target-endpoint': 'outside-to-node' }),
      rule('edge[?asynchronous]', { 'line-style': 'dashed', 'line-dash-pattern': [7, 4] }),
      ...status('warn', colors.warn),
      ...status('error', colors.error),
      rule('edge[?told], edge.map-told, edge.map-hot, edge:selected', { label: 'data(label)', 'z-index': 5 }),
      rule('edge.map-hot, edge:selected', { 'line-color': colors.accent, 'target-arrow-color': colors.accent, color: colors.text }),
      rule('node:selected', { 'border-color': colors.accent, 'border-width': 2.6 }),
      rule('.map-dim', { opacity: 0.16 }),
    ];
  };

  /* Cytoscape elements in the theme's colours; `onlyErrors` leaves out what is well and not beside trouble. */
  const elements = (graph, colors, onlyErrors) => {
    const ill = item => item.status !== 'ok';
    const edges = graph.edges.filter(edge => !onlyErrors || ill(edge));
    const ends = new Set(edges.flatMap(edge => [edge.source, edge.target]));
    const nodes = graph.nodes.filter(node => !onlyErrors || ill(node) || ends.has(node.id));
    const scale = nodes.length > MANY ? SHARP_WHEN_MANY : SHARP;
    return [
      ...nodes.map(node => ({ data: { ...node, image: card(node, colors, scale) }, position: { x: node.x, y: node.y } })),
      ...edges.map(edge => ({ data: edge })),
    ];
  };

  const picture = (path, className = '', color = '') => {
    const made = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    made.setAttribute('viewBox', '0 0 24 24');
    made.setAttribute('class', className);
    made.setAttribute('aria-hidden', 'true');
    if (color) made.setAttribute('stroke', color);
    const line = document.createElementNS('http://www.w3.org/2000/svg', 'path');
    line.setAttribute('d', path);
    made.append(line);
    return made;
  };

  const entry = (mark, words) => {
    const made = document.createElement('span');
    made.append(mark, words);
    return made;
  };

  const letters = ({ letters: text, color }) => {
    const made = document.createElement('b');
    made.textContent = text;
    made.style.color = color;
    return made;
  };

  /* What is on this map: its kinds, its clouds, its lines. Nothing of an empty one. */
  const legend = graph => {
    const on = (known, values) => Object.keys(known).filter(name => values.has(name));
    const kinds = on(KINDS, new Set(graph.nodes.map(node => (KINDS[node.kind] ? node.kind : 'external'))));
    const clouds = on(CLOUDS, new Set(graph.nodes.map(node => node.cloud)));
    const dashed = picture('M1 12h5M10 12h5M19 12h4', 'map-line');
    return [
      ...kinds.map(kind => entry(picture(KINDS[kind].path, '', KINDS[kind].color), kind)),
      ...clouds.map(cloud => entry(letters(CLOUDS[cloud]), CLOUDS[cloud].name)),
      ...(kinds.includes('function') ? [entry(picture('M12 4a8 8 0 1 1 0 16a8 8 0 1 1 0-16', 'map-ring'), 'ran well'), entry(picture('M12 4a8 8 0 0 1 8 8', 'map-ill'), 'failed')] : []),
      ...(graph.edges.some(edge => edge.asynchronous) ? [entry(dashed, 'waits between')] : []),
    ];
  };

  const fontsReady = () => [TITLE, DETAIL].every(font => document.fonts.check(`${font} ${FONT}`));

  faasight.mapStyle = { theme, stylesheet, elements, legend, fontsReady };
})();
