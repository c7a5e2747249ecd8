"""The word count of algebra-wordcount.mjs with pysparkling: its runs from a file and from memory, as JSON."""
import json
import sys
import time

from pysparkling import Context

path, rounds = sys.argv[1], int(sys.argv[2])
context = Context()
with open(path, encoding="utf-8") as file:
    lines = file.read().splitlines()
sources = {"file": lambda: context.textFile(path, 4), "memory": lambda: context.parallelize(lines, 4)}
runs = {}
for name, source in sources.items():
    runs[name] = []
    for _ in range(rounds):
        start = time.perf_counter()
        pairs = (
            source()
            .flatMap(lambda line: line.split(" "))
            .map(lambda word: (word, 1))
            .reduceByKey(lambda a, b: a + b)
            .collect()
        )
        ms = (time.perf_counter() - start) * 1000
        runs[name].append({"ms": ms, "words": len(pairs), "sum": sum(n for _, n in pairs)})
print(json.dumps(runs))
