/** Programs that keep partitions or cut histories, and what an RDD knows of itself. */
import { StorageLevel } from 'millrace'
import { glommed, numbers, type Programs, pairs, plus } from './ground.js'

export const keepingOperations: Programs = {
  // Kept
  persist: async ({ sc }) => {
    const calls = sc.longAccumulator()
    const kept = numbers(sc)
      .map((n) => {
        calls.add(1)
        return n + 1
      })
      .persist(StorageLevel.MEMORY_AND_DISK_2)
    return [await glommed(kept), await glommed(kept.map((n) => -n)), calls.value]
  },
  cache: async ({ sc }) => {
    const kept = pairs(sc).reduceByKey(plus, 2).cache()
    return [await glommed(kept), await kept.join(kept).count()]
  },
  unpersist: async ({ sc }) => {
    const calls = sc.longAccumulator()
    const rdd = numbers(sc).map((n) => {
      calls.add(1)
      return n
    })
    rdd.persist()
    await rdd.count()
    rdd.unpersist()
    return [await rdd.count(), calls.value]
  },
  getStorageLevel: ({ sc }) => String(numbers(sc).persist(StorageLevel.DISK_ONLY).getStorageLevel()),
  setCheckpointDir: async ({ sc, directory }) => {
    sc.setCheckpointDir(directory)
    return sc.getCheckpointDir()?.slice(directory.length)
  },
  getCheckpointDir: ({ sc, directory }) => [typeof sc.getCheckpointDir(), directory.length > 0],
  checkpoint: async ({ sc, directory }) => {
    const before = sc.getCheckpointDir()
    sc.setCheckpointDir(directory)
    const calls = sc.longAccumulator()
    const rdd = pairs(sc)
      .map((pair) => {
        calls.add(1)
        return pair
      })
      .reduceByKey(plus, 2)
    rdd.checkpoint()
    if (before !== null) sc.setCheckpointDir(before)
    const first = await glommed(rdd)
    const computed = calls.value
    return [first, await glommed(rdd), rdd.isCheckpointed, calls.value === computed]
  },
  isCheckpointed: ({ sc }) => numbers(sc).isCheckpointed,
  getCheckpointFile: ({ sc }) => numbers(sc).getCheckpointFile(),
  localCheckpoint: async ({ sc }) => {
    const rdd = numbers(sc)
      .map((n) => n + 1)
      .localCheckpoint()
    return [await glommed(rdd), rdd.isCheckpointed, await glommed(rdd)]
  },

  // What an RDD knows of itself
  id: ({ sc }) => typeof numbers(sc).id,
  name: ({ sc }) => numbers(sc).name,
  setName: ({ sc }) => numbers(sc).setName('numbers').name,
  partitioner: ({ sc }) => [numbers(sc).partitioner, pairs(sc).partitionBy(2).partitioner?.partitions],
  numPartitions: ({ sc }) => numbers(sc).numPartitions,
  getNumPartitions: ({ sc }) => numbers(sc).getNumPartitions(),
  dependencies: ({ sc }) =>
    pairs(sc)
      .groupByKey()
      .dependencies.map(({ type }) => type),
  preferredLocations: ({ sc }) => numbers(sc).preferredLocations(0),
  sparkContext: ({ sc }) => numbers(sc).sparkContext === sc,
  toDebugString: ({ sc }) =>
    pairs(sc)
      .groupByKey(2)
      .toDebugString()
      .replace(/\[\d+\]/g, ''),
}
