import { Type } from 'typebox'

/** The settings of `npm run import -- harbor`, besides those of `npm run apply`. */
export const schema = Type.Object({
  HARBOR_USERNAME: Type.String({
    default: 'admin',
    description: 'username of a system administrator of the Harbor from which npm run import reads',
  }),
  HARBOR_PASSWORD: Type.String({ description: 'password of HARBOR_USERNAME' }),
})
