arrayStringConcat(arraySlice(arrayCompact(arrayFilter(frame -> frame != '' AND NOT startsWith(frame, 'faasight/'), if(match($1, '\\.go:[0-9]+'),
    -- Go: a function's line, then its file's after a tab.
    arrayMap(pair -> concat(pair[1], ' ', pair[2]),
             extractAllGroupsVertical(substring($1, 1, 65536),
                 '(?m)^([\\w./\\-]+(?:\\(\\*?[\\w.\\[\\]]+\\))?[\\w.\\[\\]\\-]*)(?:\\([^\\n]*\\))?\\n\\t(?:[^\\n]*/)?([^/\\s]+\\.go):[0-9]+')),
    arrayMap(line -> replaceRegexpAll(multiIf(
            -- Python:   File "/var/task/app.py", line 17, in handler
            match(line, '^[\\s|+-]*File "'),
            replaceRegexpOne({{path_cut replaceRegexpOne(line, '^[\\s|+-]*File (".*)$', '\\1')}}, '^"([^"]*)", line [0-9]+(?:, in (.*))?$', '\\1 \\2'),
            -- Node.js, Java and .NET:   at handler (/var/task/app.js:10:15),   at a.B.c(B.java:17),   at A.B.C(D d) in /src/B.cs:line 17
            match(line, '^\\s+at '),
            replaceRegexpOne({{path_cut replaceRegexpOne(line, '^\\s+at (?:async )?', '')}}, '(?::line [0-9]+|(?::[0-9]+){1,2}(\\)?))$', '\\1'),
            ''), '0x[0-9a-fA-F]+|(\\$\\$Lambda)[^ (]*|(lambda\\$\\w*\\$|d__|[fF]unc|anonymous)[0-9]+', '\\1\\2#'),
        splitByChar('\n', substring($1, 1, 65536)))))), 1, 50), '\n')
