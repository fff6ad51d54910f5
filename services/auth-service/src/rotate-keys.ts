/** The command that moves the signing keys in SIGNING_KEYS_DIR on by one. Nothing needs a restart. */
import { rotateSigningKeys } from './adapters/signing-key-files.ts'

const folder = process.env['SIGNING_KEYS_DIR'] ?? 'data/signing-keys'
try {
  await rotateSigningKeys(folder)
  process.stdout.write(`the signing keys in ${folder} moved on by one\n`)
} catch (error) {
  process.stderr.write(`${(error as Error).message}: is SIGNING_KEYS_DIR the folder of the signing keys?\n`)
  process.exit(1)
}
