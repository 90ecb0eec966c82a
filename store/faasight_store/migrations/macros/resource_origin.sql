concat(
                if(resource_types = '', '', concat(',"resource_types":', toJSONString(resource_types))),
                if(schema_url = '', '', concat(',"resource_schema_url":', toJSONString(schema_url))),
                if(`resource.dropped_attributes_count` = 0, '', concat(',"resource_dropped_attributes":', toString(`resource.dropped_attributes_count`))))
