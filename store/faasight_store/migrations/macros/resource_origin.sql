concat(
    if($1_types = '', '', concat(',"resource_types":', toJSONString($1_types))),
    if($1_schema_url = '', '', concat(',"resource_schema_url":', toJSONString($1_schema_url))),
    if($1.dropped_attributes_count = 0, '', concat(',"resource_dropped_attributes":', toString($1.dropped_attributes_count))))
