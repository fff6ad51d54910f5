/**
 * The command that moves the signing keys in SIGNING_KEYS_DIR on by one; with `--all` it puts new ones in the place of
 * all, for when one was stolen. Nothing needs a restart.
 */
import { explainError } from '@registry-manager/service-kit'
import { replaceSigningKeys, rotateSigningKeys } from './adapters/signing-key-files.ts'

const folder = process.env['SIGNING_KEYS_DIR'] ?? 'data/signing-keys'
const [option, ...others] = process.argv.slice(2)
if ((option !== undefined && option !== '--all') || others.length > 0) {
  process.stderr.write('usage: rotate-keys [--all]\n')
  process.exit(2)
}
try {
  if (option === '--all') {
    await replaceSigningKeys(folder)
    process.stdout.write(`all signing keys in ${folder} are new: what the old ones signed is good no more\n`)
  } else {
    await rotateSigningKeys(folder)
    process.stdout.write(`the signing keys in ${folder} moved on by one\n`)
  }
} catch (error) {
  process.stderr.write(`${explainError(error)}: is SIGNING_KEYS_DIR the folder of the signing keys?\n`)
  process.exit(1)
}
