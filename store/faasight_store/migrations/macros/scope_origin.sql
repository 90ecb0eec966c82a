concat(
            if(empty(scope_attributes), '', concat(',"scope_attributes":', toJSONString(arrayMap(pair -> base64Encode(pair), scope_attributes)))),
            if(scope_schema_url = '', '', concat(',"scope_schema_url":', toJSONString(scope_schema_url))),
            if(scope_dropped_attributes = 0, '', concat(',"scope_dropped_attributes":', toString(scope_dropped_attributes))))
