if(startsWith($1, 'arn:'), splitByChar(':', $1)[7], splitByChar(':', $1)[1])
