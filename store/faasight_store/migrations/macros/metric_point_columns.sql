{{clamped point.time_unix_nano}} AS ts, point.start_time_unix_nano AS start_ns, item.name AS metric, $1 AS kind, item.unit AS unit,
    if(resource['deployment.environment.name'] = '', 'default', resource['deployment.environment.name']) AS environment,
    if(resource['faas.name'] = '', resource['service.name'], resource['faas.name']) AS function,
    {{text_map point.attributes}} AS attributes
