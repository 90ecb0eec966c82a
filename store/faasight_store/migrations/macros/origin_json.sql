if($1 = '', '', concat('{', substring($1, 2), '}'))
