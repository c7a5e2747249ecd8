/** Spark's way, as a script: prints every line that a board publishes. Runs in this one thread; a job module can run anywhere. */
import { MqttStringReceiver, StreamingContext } from 'millrace'

const broker = process.env.MQTT_URL ?? 'mqtt://127.0.0.1:1883'

const ssc = new StreamingContext({ appName: 'gpio', batchInterval: '1s' })
ssc.receiverStream(new MqttStringReceiver(broker, 'rupesh/gpiotopic')).print()
await ssc.start()
await ssc.awaitTermination()
