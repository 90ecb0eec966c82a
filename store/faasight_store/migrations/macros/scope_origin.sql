concat(
    if(empty($1.scope.attributes.key), '', concat(',"scope_attributes":', toJSONString({{text_map $1.scope.attributes}}),
                                                  ',"scope_types":', toJSONString({{types_of $1.scope.attributes}}))),
    if($1.schema_url = '', '', concat(',"scope_schema_url":', toJSONString($1.schema_url))),
    if($1.scope.dropped_attributes_count = 0, '', concat(',"scope_dropped_attributes":', toString($1.scope.dropped_attributes_count))))
