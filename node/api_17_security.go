package node

import "millrace/net/wire"

// There is no authentication of clients and no authorizer yet. What follows answers as a Kafka broker without them does on
// a PLAINTEXT listener, so that tools which look at everything say that security is off instead of failing.

// Kafka's words.
const (
	noAuthorizerHere = "No Authorizer is configured on the broker"
	noAuthorizer     = "No Authorizer is configured."
	saslTooLate      = "SaslAuthenticate request received after successful authentication"
)

// securityRoutes are the APIs of authentication, access lists and delegation tokens.
func securityRoutes() []route {
	return []route{
		on((*Broker).saslHandshake),
		on((*Broker).describeACLs),
		on((*Broker).createACLs),
		on((*Broker).deleteACLs),
		on((*Broker).saslAuthenticate),
		on((*Broker).createDelegationToken),
		on((*Broker).renewDelegationToken),
		on((*Broker).expireDelegationToken),
		on((*Broker).describeDelegationToken),
	}
}

func (b *Broker) saslHandshake(*call, *wire.SaslHandshakeRequest) wire.Message {
	a := wire.NewSaslHandshakeResponse()
	a.ErrorCode = wire.ErrIllegalSaslState
	return a
}

func (b *Broker) saslAuthenticate(*call, *wire.SaslAuthenticateRequest) wire.Message {
	a := wire.NewSaslAuthenticateResponse()
	a.ErrorCode, a.ErrorMessage = wire.ErrIllegalSaslState, text(saslTooLate)
	return a
}

func (b *Broker) describeACLs(*call, *wire.DescribeAclsRequest) wire.Message {
	a := wire.NewDescribeAclsResponse()
	a.ErrorCode, a.ErrorMessage = wire.ErrSecurityDisabled, text(noAuthorizerHere)
	return a
}

func (b *Broker) createACLs(_ *call, q *wire.CreateAclsRequest) wire.Message {
	a := wire.NewCreateAclsResponse()
	for range q.Creations {
		a.Results = append(a.Results, wire.CreateAclsResponseAclCreationResult{
			ErrorCode: wire.ErrSecurityDisabled, ErrorMessage: text(noAuthorizer),
		})
	}
	return a
}

func (b *Broker) deleteACLs(_ *call, q *wire.DeleteAclsRequest) wire.Message {
	a := wire.NewDeleteAclsResponse()
	for range q.Filters {
		a.FilterResults = append(a.FilterResults, wire.DeleteAclsResponseFilterResult{
			ErrorCode: wire.ErrSecurityDisabled, ErrorMessage: text(noAuthorizer),
		})
	}
	return a
}

func (b *Broker) createDelegationToken(*call, *wire.CreateDelegationTokenRequest) wire.Message {
	a := wire.NewCreateDelegationTokenResponse()
	a.ErrorCode = wire.ErrDelegationTokenRequestNotAllowed
	a.PrincipalType, a.PrincipalName = "User", "ANONYMOUS"
	a.TokenRequesterPrincipalType, a.TokenRequesterPrincipalName = a.PrincipalType, a.PrincipalName
	a.IssueTimestampMs, a.ExpiryTimestampMs, a.MaxTimestampMs = -1, -1, -1
	return a
}

func (b *Broker) renewDelegationToken(*call, *wire.RenewDelegationTokenRequest) wire.Message {
	a := wire.NewRenewDelegationTokenResponse()
	a.ErrorCode, a.ExpiryTimestampMs = wire.ErrDelegationTokenRequestNotAllowed, -1
	return a
}

func (b *Broker) expireDelegationToken(*call, *wire.ExpireDelegationTokenRequest) wire.Message {
	a := wire.NewExpireDelegationTokenResponse()
	a.ErrorCode, a.ExpiryTimestampMs = wire.ErrDelegationTokenRequestNotAllowed, -1
	return a
}

func (b *Broker) describeDelegationToken(*call, *wire.DescribeDelegationTokenRequest) wire.Message {
	a := wire.NewDescribeDelegationTokenResponse()
	a.ErrorCode = wire.ErrDelegationTokenRequestNotAllowed
	return a
}
