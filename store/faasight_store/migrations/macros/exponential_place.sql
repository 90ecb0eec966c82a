(bitShiftLeft(toInt64(scale + 512), 40) + toInt64($1) + 549755813888)
