import { describe, expect, it } from 'vitest'
import { RCODE, TYPE } from '../../../src/dns/codes.ts'
import { parseMessage } from '../../../src/dns/message.ts'
import { MessageView } from '../../../src/dns/view.ts'
import { noData, noName, zeroAddress } from '../../../src/router/resolve/authored.ts'
import { queryWire } from '../../support/query.ts'

const viewOf = (name: string, type: number): MessageView => MessageView.over(queryWire(name, type))!
const soa = (name: string) => ({
  name,
  type: TYPE.SOA,
  ttl: 60,
  data: { primary: name, mailbox: 'nobody.invalid', minimum: 60 },
})

describe('answers in the place of others', () => {
  it.each(['Ads.example', 'a', '.'])('noData and noName for %s hold an SOA, so that they can be kept', (name) => {
    const view = viewOf(name, TYPE.TXT)
    const common = {
      id: 0x1234,
      isResponse: true,
      authoritative: false,
      recursionAvailable: true,
      questions: [{ name, type: TYPE.TXT }],
      answers: [],
      authorities: [soa(name)],
    }
    expect(parseMessage(noData(view, 60))).toMatchObject({ ...common, rcode: RCODE.NOERROR })
    expect(parseMessage(noName(view, 60))).toMatchObject({ ...common, rcode: RCODE.NXDOMAIN })
  })

  it.each([
    [TYPE.A, '0.0.0.0'],
    [TYPE.AAAA, '::'],
  ])('zeroAddress for type %i is %s', (type, address) => {
    expect(parseMessage(zeroAddress(viewOf('Ads.example', type), 60))).toMatchObject({
      rcode: RCODE.NOERROR,
      answers: [{ name: 'Ads.example', type, ttl: 60, data: { address } }],
      authorities: [],
    })
  })

  it('zeroAddress for other types is no data', () => {
    expect(parseMessage(zeroAddress(viewOf('ads.example', TYPE.HTTPS), 60))).toMatchObject({
      rcode: RCODE.NOERROR,
      answers: [],
      authorities: [soa('ads.example')],
    })
  })
})
