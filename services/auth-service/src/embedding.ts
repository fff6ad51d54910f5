/** What a launcher needs that runs this service inside its own process. */
export { createAuthority, issueLeaf, replaceFile } from './adapters/certificates.ts'
export { ensureAdministrator } from './adapters/first-administrator.ts'
export { createPasswordHasher } from './adapters/password-hasher.ts'
export { createSigningKeys } from './adapters/signing-key-files.ts'
export { loadSigningKeys } from './adapters/signing-keys.ts'
export { createAuthService } from './app.ts'
export { runResetPassword } from './reset-password-command.ts'
export { directorySettings, readDirectory } from './directory-config.ts'
