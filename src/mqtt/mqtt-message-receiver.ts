/** MqttMessageReceiver: each message is a record, with its topic, payload, flags and properties. */
import type { BlockReader, MqttMessage } from './message-block.js'
import { MqttReceiver } from './mqtt-receiver.js'

/**
 * A stream of whole messages, payload bytes as they came (a copy of their own).
 *
 * ```ts
 * import { MqttMessageReceiver, StreamingContext } from 'millrace'
 * const ssc = new StreamingContext({ appName: 'sizes', batchInterval: '1s' })
 * const messages = ssc.receiverStream(new MqttMessageReceiver('mqtt://localhost:1883', 'plant/#'))
 * messages.map((message) => [message.topic, message.payload.length]).reduceByKey((a, b) => a + b).print()
 * ```
 */
export class MqttMessageReceiver extends MqttReceiver<MqttMessage> {
  override processMqttMessages(payload: Buffer, message: MqttMessage): Iterable<MqttMessage> {
    const { topic, qos, retain, dup, properties } = message
    return [
      {
        topic,
        payload: new Uint8Array(payload),
        qos,
        retain,
        dup,
        ...(properties === undefined ? {} : { properties }),
      },
    ]
  }

  /** @internal */
  protected override readMessage(message: BlockReader, output: MqttMessage[]): void {
    if (this.processMqttMessages !== MqttMessageReceiver.prototype.processMqttMessages)
      super.readMessage(message, output)
    else output.push(message.toMessage())
  }
}
