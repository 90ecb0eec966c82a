replaceRegexpAll($1,
    '(^|[ ("])(?:file://)?(?:[A-Za-z]:)?[/\\\\](?:(?:[^():"\\n]*[/\\\\])?(?:site-packages|dist-packages|node_modules|task|workspace|wwwroot|python[0-9.]+)[/\\\\]|[^():"\\n]*[/\\\\]|)',
    '\\1')
