if(isNull($1), -32768, toInt16(floor(log(greatest(assumeNotNull($1), 0.001)) / log(1.04))))
