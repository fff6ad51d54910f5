/**
 * The folder of signing keys. Each file is replaced whole, and every order of replacement that a rotation
 * goes through is a good set, so a reader never sees half of one:
 *   ca.pem           certificate of our authority: the registry's `rootcertbundle`
 *   ca-key.pem       its key: needed to rotate, not to serve
 *   current.pem      key and certificate that tokens are signed with
 *   next.pem         the same, of the key that comes after it; published already
 *   retired.pem      the one before; published until its tokens have expired
 */
export const KEY_FILES = {
  authority: 'ca.pem',
  authorityKey: 'ca-key.pem',
  current: 'current.pem',
  next: 'next.pem',
  retired: 'retired.pem',
} as const
