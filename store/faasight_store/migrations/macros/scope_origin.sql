concat(
    if(empty($1.attributes.key), '', concat(',"scope_attributes":', toJSONString({{text_map $1.attributes}}),
                                            ',"scope_types":', toJSONString({{types_of $1.attributes}}))),
    if($1_schema_url = '', '', concat(',"scope_schema_url":', toJSONString($1_schema_url))),
    if($1.dropped_attributes_count = 0, '', concat(',"scope_dropped_attributes":', toString($1.dropped_attributes_count))))
