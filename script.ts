import { StreamingContext } from 'millrace'
const ssc = new StreamingContext({ appName: 'gpio', batchInterval: '200ms', master: 'local[2]' })
