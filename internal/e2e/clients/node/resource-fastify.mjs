// Two resource servers on Fastify that accept the access tokens of one issuer:
// with jose, and with @fastify/jwt and get-jwks.
import fastifyJwt from '@fastify/jwt'
import Fastify from 'fastify'
import buildGetJwks from 'get-jwks'
import { createRemoteJWKSet, jwtVerify } from 'jose'

const { ISSUER: issuer, AUDIENCE: audience, ALGS, LISTEN, CACHE_SECONDS } = process.env
const algorithms = ALGS.split(' ')

const app = Fastify()
const getJwks = buildGetJwks({
  issuersWhitelist: [issuer],
  ...(CACHE_SECONDS && { ttl: CACHE_SECONDS * 1000 }),
})
app.register(fastifyJwt, {
  decode: { complete: true },
  secret: (request, { header: { kid, alg }, payload: { iss } }) =>
    getJwks.getPublicKey({ kid, alg, domain: iss }),
  verify: { algorithms, allowedIss: issuer, allowedAud: audience, checkTyp: 'at+jwt' },
  trusted: (request, claims) => !('cnf' in claims),
})
app.get('/fastify-jwt', { onRequest: (request) => request.jwtVerify() }, async () => 'welcome')

const keys = createRemoteJWKSet(
  new URL(issuer + '/.well-known/jwks.json'),
  CACHE_SECONDS ? { cacheMaxAge: CACHE_SECONDS * 1000, cooldownDuration: 0 } : {},
)
const byJose = async (request, reply) => {
  const token = request.headers.authorization?.replace(/^Bearer /, '')
  try {
    const { payload } = await jwtVerify(token ?? '', keys, { issuer, audience, algorithms, typ: 'at+jwt' })
    if ('cnf' in payload) throw new Error('bound to a key')
  } catch (error) {
    return reply.code(401).send(error.message)
  }
}
app.get('/jose-fastify', { onRequest: byJose }, async () => 'welcome')
const [host, port] = LISTEN.split(':')
await app.listen({ host, port: Number(port) })
