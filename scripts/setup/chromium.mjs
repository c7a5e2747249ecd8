/** Chromium, in which the tests of the status page click. */
export default function chromium({ say, find, aptInstall }) {
  if (find('chromium') === null) aptInstall(['chromium'], say)
  const path = find('chromium')
  if (path === null) throw new Error('Chromium was installed but is not to be found.')
  say(`ready (${path})`)
}
