// Fetches all Debian packages that tests run. `npm test` runs it during its first steps, so that no test waits long.
import { findCeph } from './ceph-binaries.js'
import { unpackPackage } from './debian-package.js'
import { findCommand } from './find-command.js'
import { findNginx } from './nginx-binary.js'
import { findPostgres } from './postgres-binaries.js'
import { findRegistry } from './registry-binary.js'
import { BROWSER_PACKAGES, TEST_COMMANDS, prepareTestPrograms, retryTestPrograms } from './test-programs.js'

const env = process.env
const say = (line) => process.stdout.write(`· ${line}\n`)

retryTestPrograms(env)
// The programs of the stack first: unit tests need Postgres soon.
for (const find of [findPostgres, findNginx, findRegistry]) {
  try {
    find(env, say)
  } catch (error) {
    say(error.message)
  }
}
if (!findCommand('promtool')) unpackPackage('prometheus', env, say)
const isMissing = TEST_COMMANDS.some((name) => !findCommand(name))
const fault = isMissing ? prepareTestPrograms(env, say) : ''
const { fault: withoutS3 } = findCeph(env, say)
// The browser last: its tests are among the end-to-end tests.
const withoutBrowser = findCommand('chromium') ? '' : prepareTestPrograms(env, say, BROWSER_PACKAGES)
if (withoutBrowser !== '') say(`tests that need a browser are skipped: ${withoutBrowser}`)
if (withoutS3) say(`tests that need an S3 server are skipped: ${withoutS3}`)
if (fault !== '') say(`tests that need more programs than this machine has are skipped: ${fault}`)
