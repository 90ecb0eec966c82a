if($1 BETWEEN toUnixTimestamp64Nano(now64(9)) - 30 * 86400000000000 AND toUnixTimestamp64Nano(now64(9)) + 86400000000000,
   fromUnixTimestamp64Nano(toInt64($1), 'UTC'), now64(9, 'UTC'))
