concat(
    if({{types_of $1.resource.attributes}} = '', '', concat(',"resource_types":', toJSONString({{types_of $1.resource.attributes}}))),
    if($1.schema_url = '', '', concat(',"resource_schema_url":', toJSONString($1.schema_url))),
    if($1.resource.dropped_attributes_count = 0, '', concat(',"resource_dropped_attributes":', toString($1.resource.dropped_attributes_count))))
