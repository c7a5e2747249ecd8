/** Millrace's public names, one by one. What is not here can change without notice. */
/// <reference types="node" preserve="true" />

export { Conf } from './conf.js'
export type {
  CheckpointOptions,
  StopOptions,
  StopResult,
  StreamingContextOptions,
  StreamingContextState,
} from './context-options.js'
export type { DStream } from './dstream/dstream.js'
export { State } from './dstream/state.js'
export type { InitialState, MapWithStateDStream } from './dstream/state-operations.js'
export { StateSpec } from './dstream/state-spec.js'
export { type ErrorCode, MillraceError } from './errors.js'
export { type BuildJob, defineJob, type Job, type JobOptions } from './job.js'
export { type DeadLetterTopicOptions, deadLetterTopic } from './mqtt/dead-letter-topic.js'
export type { MqttMessage } from './mqtt/message-block.js'
export type { MessageId } from './mqtt/message-ids.js'
export { MqttCborReceiver } from './mqtt/mqtt-cbor-receiver.js'
export {
  type DeadLetter,
  type DecodingOptions,
  MqttDecodingReceiver,
  MqttJsonReceiver,
} from './mqtt/mqtt-decoding-receiver.js'
export { MqttMessageReceiver } from './mqtt/mqtt-message-receiver.js'
export type {
  MqttConnectionOptions,
  MqttReceiverOptions,
  MqttTlsOptions,
  MqttWill,
} from './mqtt/mqtt-options.js'
export type { MqttMessageProperties } from './mqtt/mqtt-properties.js'
export { MqttReceiver } from './mqtt/mqtt-receiver.js'
export type { HoldReason, MqttReceiverStatus } from './mqtt/mqtt-receiver-status.js'
export { type MqttSinkOptions, mqttSink } from './mqtt/mqtt-sink.js'
export {
  MqttSparkplugReceiver,
  type SparkplugMessage,
  type SparkplugMetric,
  type SparkplugValue,
} from './mqtt/mqtt-sparkplug-receiver.js'
export { MqttStringReceiver } from './mqtt/mqtt-string-receiver.js'
export { sparkplugMessageId } from './mqtt/sparkplug-message-id.js'
export { Accumulator, CollectionAccumulator, NumberAccumulator } from './rdd/accumulator.js'
export type { Broadcast } from './rdd/broadcast.js'
export type { Partitioning } from './rdd/combination.js'
export type { FutureAction } from './rdd/future-action.js'
export type { RddDependency } from './rdd/lineage-handle.js'
export type { Histogram } from './rdd/numeric-operations.js'
export type { Item, Pair } from './rdd/pair.js'
export type { BoundedNumber, PartialResult } from './rdd/partial-result.js'
export { type CustomPartitioner, HashPartitioner, type Partitioner, RangePartitioner } from './rdd/partitioner.js'
export type { RDD } from './rdd/rdd.js'
export type { SaveOptions } from './rdd/saving-operations.js'
export type { SparkContext } from './rdd/spark-context.js'
export type { StatCounter } from './rdd/stat-counter.js'
export { StorageLevel } from './rdd/storage-level.js'
export { Receiver } from './receiver/receiver.js'
export { type RunOptions, run } from './run.js'
export type {
  BatchInfo,
  OutputOperationInfo,
  ReceiverInfo,
  StreamInputInfo,
  StreamingListener,
} from './scheduler/streaming-listener.js'
export type { ExecutorInfo, StageInfo, TaskInfo, TaskLocality, TaskMetrics } from './scheduler/task-info.js'
export type { FileStreamOptions } from './stream-inputs.js'
export { StreamingContext } from './streaming-context.js'
export { type Clock, type Duration, milliseconds, minutes, seconds, Time } from './time.js'
