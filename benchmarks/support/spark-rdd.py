"""The programs of spark-rdd.mjs with PySpark's RDDs: the same as those of spark-rdd-job.mjs, line by line."""
import json
import os
import time

from pyspark import SparkConf, SparkContext

files = {"words": os.environ["WORDS"], "means": os.environ["READINGS"]}
partitions = int(os.environ["PARTITIONS"])
rounds = int(os.environ["ROUNDS"])

programs = {
    "words": lambda lines: lines.flatMap(lambda line: line.split(" "))
    .map(lambda word: (word, 1))
    .reduceByKey(lambda a, b: a + b),
    "means": lambda lines: lines.map(json.loads)
    .map(lambda reading: (reading["id"], (reading["v"], 1)))
    .reduceByKey(lambda a, b: (a[0] + b[0], a[1] + b[1]))
    .mapValues(lambda mean: mean[0] / mean[1]),
}

conf = SparkConf().setMaster("local[2]").setAppName("spark-rdd").set("spark.ui.enabled", "false")
context = SparkContext(conf=conf)
context.setLogLevel("ERROR")
jobs = []
kept = {}
for name, program in programs.items():
    kept[name] = context.textFile(files[name], partitions).persist()
    kept[name].count()
    for _ in range(rounds + 1):
        jobs.append((name, "file", program(context.textFile(files[name], partitions))))
        jobs.append((name, "memory", program(kept[name])))
for name, source, rdd in jobs:
    start = time.perf_counter()
    pairs = rdd.collect()
    ms = (time.perf_counter() - start) * 1000
    print(json.dumps({"name": name, "from": source, "ms": ms, "pairs": len(pairs), "sum": sum(v for _, v in pairs)}), flush=True)
context.stop()
