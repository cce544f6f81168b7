package group

import "millrace/net/wire"

// reconciliation moves a member from what it has towards its target: first it gives back, then it gets its new epoch,
// then it is given what others no longer have. It is a pure function.
type reconciliation struct {
	member *consumerMember
	// topics are those that the member subscribes to.
	topics      []wire.UUID
	target      partitions
	targetEpoch int32
	// resubscribed says that the member's subscription has changed with this very request.
	resubscribed bool
	// reported are the partitions that the member says it has; said is false when it did not say.
	reported partitions
	said     bool
	// free says whether nobody has a partition.
	free func(partitionID) bool
}

// run returns the member's next state; the member itself when nothing changes.
func (r *reconciliation) run() (*consumerMember, *refusal) {
	m := r.member
	if !r.resubscribed && m.reconciled(r.targetEpoch) {
		return m, nil
	}
	switch m.state {
	case memberStable:
		if m.epoch != r.targetEpoch {
			return r.next(m.epoch), nil
		}
		return r.unsubscribe(), nil
	case memberUnrevoked:
		if !r.has(m.revoking) {
			return r.next(m.epoch), nil
		}
		return r.unsubscribe(), nil
	case memberUnreleased:
		return r.next(m.epoch), nil
	}
	if r.said && len(r.reported) == 0 {
		return r.next(r.targetEpoch), nil
	}
	return nil, refuse(wire.ErrFencedMemberEpoch, "The consumer group member is in a unknown state. "+
		"The member must abandon all its partitions and rejoin.")
}

// has says whether the member may still have one of these partitions: it does unless it said otherwise.
func (r *reconciliation) has(h holdings) bool {
	if !r.said {
		return true
	}
	for _, p := range r.reported {
		if h.has(p) {
			return true
		}
	}
	return false
}

// unsubscribe takes away, without a new epoch, what the member no longer subscribes to.
func (r *reconciliation) unsubscribe() *consumerMember {
	m := r.member
	if !r.resubscribed {
		return m
	}
	var assigned, lost holdings
	for _, h := range m.assigned {
		if containsID(r.topics, h.topic) {
			assigned = append(assigned, h)
		} else {
			lost = append(lost, h)
		}
	}
	if len(lost) == 0 {
		return m
	}
	revoking := m.revoking.union(lost)
	return m.with(func(m *consumerMember) {
		if r.has(revoking) {
			m.state, m.revoking = memberUnrevoked, revoking
		}
		m.previousEpoch, m.assigned = m.epoch, assigned
	})
}

// next computes what the member has next. As long as it must give something back, it stays at the epoch.
func (r *reconciliation) next(epoch int32) *consumerMember {
	m := r.member
	var assigned, revoking holdings
	wanted := func(p partitionID) bool { return r.target.has(p) && containsID(r.topics, p.topic) }
	for _, h := range m.assigned {
		if wanted(h.partitionID) {
			assigned = append(assigned, h)
		} else {
			revoking = append(revoking, h)
		}
	}
	if len(revoking) > 0 && r.has(revoking) {
		return m.with(func(m *consumerMember) {
			m.state, m.previousEpoch, m.epoch = memberUnrevoked, m.epoch, epoch
			m.assigned, m.revoking = assigned, revoking
		})
	}
	unreleased := false
	var given holdings
	for _, p := range r.target {
		switch {
		case !containsID(r.topics, p.topic) || assigned.has(p):
		case !r.free(p) && !m.revoking.has(p):
			unreleased = true
		default:
			given = append(given, holding{p, r.targetEpoch})
		}
	}
	return m.with(func(m *consumerMember) {
		if m.state = memberStable; unreleased {
			m.state = memberUnreleased
		}
		m.previousEpoch, m.epoch = m.epoch, r.targetEpoch
		m.assigned, m.revoking = assigned.union(given), nil
	})
}

// free says whether nobody in the group has the partition.
func (g *consumerGroup) free(p partitionID) bool { return g.owners[p] == "" }
