/**
 * The command that rotates the signing keys of a folder by one; with `--all` it replaces all of them, for when one was
 * stolen. Nothing needs a restart. There is no default folder: a rotation cannot be undone.
 */
import { explainError } from '@registry-manager/http'
import { replaceSigningKeys, rotateSigningKeys } from './access-tokens/signing-key-files.ts'

const args = process.argv.slice(2)
const [folder = process.env['SIGNING_KEYS_DIR'], ...others] = args.filter((arg) => !arg.startsWith('-'))
const flags = args.filter((arg) => arg.startsWith('-'))
if (!folder || others.length > 0 || flags.some((flag) => flag !== '--all')) {
  process.stderr.write(
    'usage: rotate-keys [--all] FOLDER: the folder of the signing keys, unless SIGNING_KEYS_DIR names it\n',
  )
  process.exit(2)
}
try {
  if (flags.length > 0) {
    await replaceSigningKeys(folder)
    process.stdout.write(
      `all signing keys in ${folder} are new: what the old ones signed is no longer valid\n`,
    )
  } else {
    await rotateSigningKeys(folder)
    process.stdout.write(`the signing keys in ${folder} were rotated by one\n`)
  }
} catch (error) {
  process.stderr.write(`${explainError(error)}: is ${folder} the folder of the signing keys?\n`)
  process.exit(1)
}
