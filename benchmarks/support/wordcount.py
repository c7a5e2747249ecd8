"""The word count of algebra-wordcount.mjs with pysparkling. A line of its input names a source, file or memory: one run, one line of JSON."""
import json
import sys
import time

from pysparkling import Context

path = sys.argv[1]
context = Context()
with open(path, encoding="utf-8") as file:
    lines = file.read().splitlines()
sources = {"file": lambda: context.textFile(path, 4), "memory": lambda: context.parallelize(lines, 4)}
for name in sys.stdin:
    source = sources[name.strip()]
    start = time.perf_counter()
    pairs = (
        source()
        .flatMap(lambda line: line.split(" "))
        .map(lambda word: (word, 1))
        .reduceByKey(lambda a, b: a + b)
        .collect()
    )
    ms = (time.perf_counter() - start) * 1000
    print(json.dumps({"ms": ms, "words": len(pairs), "sum": sum(n for _, n in pairs)}), flush=True)
