/**
 * The command that rotates the signing keys of a folder by one; `--all` replaces all of them after a theft. No service
 * needs a restart. The folder is FOLDER or SIGNING_KEYS_DIR; there is no other default, because a rotation cannot be
 * undone.
 */
import { explainError } from '@registry-manager/http'
import { replaceSigningKeys, rotateSigningKeys } from './access-tokens/signing-key-files.ts'

const args = process.argv.slice(2)
const [folder = process.env['SIGNING_KEYS_DIR'], ...others] = args.filter((arg) => !arg.startsWith('-'))
const flags = args.filter((arg) => arg.startsWith('-'))
if (!folder || others.length > 0 || flags.some((flag) => flag !== '--all')) {
  process.stderr.write(
    'usage: rotate-keys [--all] FOLDER (the folder of the signing keys; default: SIGNING_KEYS_DIR)\n',
  )
  process.exit(2)
}
try {
  if (flags.length > 0) {
    await replaceSigningKeys(folder)
    process.stdout.write(
      `replaced all signing keys in ${folder}; access tokens that the old keys signed are no longer valid\n`,
    )
  } else {
    await rotateSigningKeys(folder)
    process.stdout.write(`rotated the signing keys in ${folder} by one\n`)
  }
} catch (error) {
  process.stderr.write(`could not rotate the signing keys in ${folder}: ${explainError(error)}\n`)
  process.exit(1)
}
