/** docs/configuration.md is written from the table of keys: `npx vitest run test/docs -u` writes it again. */
import { expect, it } from 'vitest'
import { type ConfDefinition, confKeys } from '../../src/conf-keys.js'
import { environmentName } from '../../src/conf-sources.js'

function shown(key: ConfDefinition): string {
  if (key.default === null) return 'not set'
  if (key.kind === 'duration' || key.kind === 'seconds') return key.default === 0 ? '0' : `${key.default}ms`
  return String(key.default)
}

it('docs/configuration.md lists every key with its default and meaning', async () => {
  const rows = Object.entries(confKeys).map(([name, key]: [string, ConfDefinition]) => {
    const kind = key.choices === undefined ? key.kind : key.choices.map((choice) => `\`${choice}\``).join(', ')
    return `| \`${name}\` | ${kind} | ${shown(key)} | ${key.on} | ${key.doc} |`
  })
  const page = `# Configuration

Spark's own keys, with Spark's names and defaults, and a few of Millrace's own. A key may be set in four places; the
strongest wins:

1. in code: \`defineJob({ …, conf: { 'spark.streaming.blockInterval': '100ms' } }, …)\` or \`new StreamingContext({ …, conf })\`
2. on the command line: \`--conf spark.streaming.blockInterval=100ms\`, as often as needed
3. in a file: the one \`MILLRACE_CONF_FILE\` names, else \`millrace.conf\` in the working directory; a line is a key, then
   spaces or \`=\`, then its value, and \`#\` begins a comment (the form of Spark's \`spark-defaults.conf\`); a name ending in
   \`.json\` is read as one JSON object
4. in the environment: \`${environmentName('spark.streaming.blockInterval')}=100ms\`; the key in capitals, its dots and word breaks as underscores

Everything is checked before the job starts, in all four places: a name nobody knows is the error \`UNKNOWN_CONF_KEY\`, which
names the nearest key, and a value that cannot be read is \`INVALID_CONF\`. Keys of the families only Spark reads, such as
\`spark.executor.*\`, \`spark.kubernetes.*\`, \`spark.yarn.*\` and \`spark.hadoop.*\`, are passed on to it as they are.

A *duration* is a number with a unit (\`ms\`, \`s\`, \`m\`, \`h\`, \`d\`), a bare number counting milliseconds; *seconds* is the same,
but a bare number counts seconds, as those keys do in Spark. *bytes* takes \`k\`, \`m\`, \`g\`. The column *on* says on which engine
the key changes something; set elsewhere it is accepted, and the log says that it has no effect.

The log goes to standard error, a line an event. \`MILLRACE_LOG\` in the environment sets from which level on: \`debug\`, \`info\`,
\`warn\` (the default), \`error\` or \`silent\`.

| key | kind | default | on | meaning |
|---|---|---|---|---|
${rows.join('\n')}
`
  await expect(page).toMatchFileSnapshot('../../docs/configuration.md')
})
