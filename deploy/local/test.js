// `npm test`: prepares the workspace, then runs every check and every test with Node 26.
import { join } from 'node:path'
import { ROOT, installWorkspace, runProgram } from './workspace.js'

const HELP = `npm test [-- OPTIONS FILE...]

Runs type check, linter, formatter and all tests, or only the given test files. The last line has the
counts of passed, failed and skipped assertions. Above it each failure is repeated, with the command that runs it alone.

  --grep=PATTERN   only tests of the given files whose title matches; /PATTERN/ is a regular expression
  --verbose        prints all TAP as it comes; the environment variable VERBOSE=1 does the same
  --help           prints this

Examples:
  npm test -- services/auth-service/test/access-tokens/grant.test.ts
  E2E_TARGET=stack npm test -- test-e2e/docker.test.ts

Clients and servers that this machine lacks (docker, podman, Samba, ...) are unpacked from Debian's packages into a
cache folder; nothing is installed. Tests whose program cannot be obtained are skipped.
`

const args = process.argv.slice(2)
if (args.includes('--help') || args.includes('-h')) {
  process.stdout.write(HELP)
} else {
  installWorkspace((line) => process.stdout.write(`· ${line}\n`))
  runProgram(join(ROOT, 'deploy', 'local', 'test-run', 'main.ts'), args, {})
}
