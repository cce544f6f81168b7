package node

// groupRoutes lists the APIs of consumer groups.
func groupRoutes() []route {
	return []route{
		on((*Broker).offsetCommit),
		on((*Broker).offsetFetch),
		on((*Broker).joinGroup),
		on((*Broker).heartbeat),
		on((*Broker).leaveGroup),
		on((*Broker).syncGroup),
		on((*Broker).describeGroups),
		on((*Broker).listGroups),
		on((*Broker).deleteGroups),
		on((*Broker).offsetDelete),
		on((*Broker).consumerGroupHeartbeat),
		on((*Broker).consumerGroupDescribe),
	}
}

// orEmpty is an optional string of the protocol: empty when null.
func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
