/** Names that CommonJS packages expect and an ES module does not have; the bundler adds them to a job where they are used. */
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

export const __filename: string = fileURLToPath(import.meta.url)
export const __dirname: string = dirname(__filename)
