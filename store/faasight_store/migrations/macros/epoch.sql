toDateTime64(0, 9, 'UTC')
