multiIf($1 >= 21, 'FATAL', $1 >= 17, 'ERROR', $1 >= 13, 'WARN', $1 >= 9, 'INFO', $1 >= 1, 'DEBUG', 'INFO')
