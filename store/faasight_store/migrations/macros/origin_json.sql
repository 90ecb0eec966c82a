replaceRegexpOne($1, '^,(.*)$', '{\\1}')
