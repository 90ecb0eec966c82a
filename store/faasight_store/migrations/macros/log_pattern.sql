replaceRegexpAll(substringUTF8($1, 1, 1000), '[\\w.:-]*[0-9][\\w.:-]*', '#')
