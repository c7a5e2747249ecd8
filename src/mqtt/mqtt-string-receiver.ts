/** MqttStringReceiver: each line of each payload is a record. */
import type { BlockReader } from './message-block.js'
import { MqttReceiver } from './mqtt-receiver.js'

/**
 * A stream of the lines in the payloads, as Scala's `getLines` gives them: `\n`, `\r\n` and `\r` end a line, the last line needs no end, an empty
 * payload has no line. Payloads are UTF-8; other bytes become U+FFFD.
 *
 * ```ts
 * import { MqttStringReceiver, StreamingContext } from 'millrace'
 * const ssc = new StreamingContext({ appName: 'gpio', batchInterval: '1s' })
 * ssc.receiverStream(new MqttStringReceiver('mqtt://localhost:1883', 'rupesh/gpiotopic')).print()
 * ```
 */
export class MqttStringReceiver extends MqttReceiver<string> {
  override processMqttMessages(payload: Buffer): Iterable<string> {
    const lines: string[] = []
    splitLines(payload.toString(), lines)
    return lines
  }

  /** @internal */
  protected override readMessage(message: BlockReader, output: string[]): void {
    // A subclass that changes what a message means must be asked.
    if (this.processMqttMessages !== MqttStringReceiver.prototype.processMqttMessages)
      super.readMessage(message, output)
    else splitLines(message.text, output)
  }
}

function splitLines(text: string, output: string[]): void {
  if (text !== '' && !text.includes('\n') && !text.includes('\r')) return void output.push(text)
  let start = 0
  while (start < text.length) {
    let end = start
    let code = 0
    while (end < text.length) {
      code = text.charCodeAt(end)
      if (code === 10 || code === 13) break
      end += 1
    }
    output.push(text.slice(start, end))
    start = code === 13 && text.charCodeAt(end + 1) === 10 ? end + 2 : end + 1
  }
}
