/** The part of a SparkContext that starts jobs by hand, groups them and calls them off. */
import { FutureAction } from './future-action.js'
import { JobScopes, jobDescriptionProperty, jobGroupProperty } from './job-scope.js'
import type { Item } from './pair.js'
import type { RDD } from './rdd.js'

export abstract class JobControl {
  /** @internal */
  readonly jobs: JobScopes = new JobScopes()

  /**
   * What `f` makes of each partition asked for, all when left out, in their order. `f` may be async.
   *
   * ```ts
   * import { StreamingContext } from 'millrace'
   * const { sparkContext } = new StreamingContext({ appName: 'sizes', batchInterval: '1s' })
   * const numbers = sparkContext.range(0, 10, 1, 3)
   * await sparkContext.runJob(numbers, (records) => [...records].length) // [3, 3, 4]
   * await sparkContext.runJob(numbers, (records) => [...records].length, [2]) // [4]
   * ```
   */
  async runJob<T, U extends Item>(
    rdd: RDD<T>,
    f: (records: IterableIterator<T>, partition: number) => U | Promise<U>,
    partitions: readonly number[] | null = null,
  ): Promise<U[]> {
    const results = await rdd
      .mapPartitionsWithIndex(async (partition, records) => [await f(records, partition)])
      .run('runJob', partitions)
    return results.flat(1) as U[]
  }

  /** As `runJob`, to be cancelled with `cancel()`. */
  submitJob<T, U extends Item>(
    rdd: RDD<T>,
    f: (records: IterableIterator<T>, partition: number) => U | Promise<U>,
    partitions: readonly number[] | null = null,
  ): FutureAction<U[]> {
    return new FutureAction(this.jobs, () => this.runJob(rdd, f, partitions))
  }

  /**
   * Sets a property of the jobs started from here on, or takes it back with null. Inside the function of an output it holds for
   * the rest of that output in that batch; elsewhere for the program. The jobs of a stream have the properties set before
   * `ssc.start()`, whatever is set later.
   *
   * ```ts
   * import { StreamingContext } from 'millrace'
   * const { sparkContext } = new StreamingContext({ appName: 'report', batchInterval: '1s' })
   * sparkContext.setLocalProperty('team', 'boilers')
   * sparkContext.getLocalProperty('team') // boilers
   * ```
   */
  setLocalProperty(key: string, value: string | null): void {
    if (value === null) this.jobs.properties.delete(key)
    else this.jobs.properties.set(key, value)
  }

  /** The property that holds where this is called, or null. See `setLocalProperty`. */
  getLocalProperty(key: string): string | null {
    return this.jobs.properties.get(key) ?? null
  }

  /** Says in words what the jobs started from here on are for: their name in logs, errors and on Spark's page. Null takes it back. */
  setJobDescription(text: string | null): void {
    this.setLocalProperty(jobDescriptionProperty, text)
  }

  /**
   * Puts the jobs started from here on into a group, so that `cancelJobGroup` can call them off together. Streams leave the
   * group: their jobs are cancelled by stopping the context.
   *
   * ```ts
   * import { StreamingContext } from 'millrace'
   * const { sparkContext } = new StreamingContext({ appName: 'report', batchInterval: '1s' })
   * sparkContext.setJobGroup('report', 'the nightly report')
   * const slow = sparkContext.range(1000).countAsync()
   * sparkContext.cancelJobGroup('report')
   * await slow.catch((error) => String(error)) // MillraceError: The job was cancelled with its group report.
   * ```
   */
  setJobGroup(group: string, description: string | null = null): void {
    this.setLocalProperty(jobGroupProperty, group)
    this.setJobDescription(description)
  }

  /** Puts the jobs started from here on into no group. */
  clearJobGroup(): void {
    this.setLocalProperty(jobGroupProperty, null)
    this.setJobDescription(null)
  }

  /** Cancels the jobs of a group that run now: they reject with `JOB_CANCELLED`; tasks that have begun end by themselves. */
  cancelJobGroup(group: string): void {
    this.jobs.cancel(group)
  }

  /** Cancels every job that runs now; see `cancelJobGroup`. */
  cancelAllJobs(): void {
    this.jobs.cancel(null)
  }
}
