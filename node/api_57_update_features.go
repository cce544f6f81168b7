package node

import (
	"millrace/net/wire"
	"millrace/node/catalog"
)

// updateFeatures finalizes levels of features for the whole cluster, all that the request names or none.
//
// Versions: 1 tells the kind of update and can ask for validation only; 2 answers no results of single features.
func (b *Broker) updateFeatures(c *call, q *wire.UpdateFeaturesRequest) wire.Message {
	a := wire.NewUpdateFeaturesResponse()
	image := c.newestCatalog()
	for i := range q.FeatureUpdates {
		u := &q.FeatureUpdates[i]
		kind := u.UpgradeType
		if c.Version == 0 {
			kind = featureUpgrade
			if u.AllowDowngrade {
				kind = featureSafeDowngrade
			}
		}
		if why := checkFeature(image, b.controller(), u.Feature, u.MaxVersionLevel, kind); why != "" {
			a.ErrorCode = wire.ErrInvalidUpdateVersion
			a.ErrorMessage = text("The update failed for all features since the following feature had an error: " + why)
			return a
		}
	}
	deadline := c.changeDeadline(q.TimeoutMs)
	for i := range q.FeatureUpdates {
		u := &q.FeatureUpdates[i]
		if !q.ValidateOnly {
			result := b.set.Change(catalog.SetFeature{Name: u.Feature, Level: u.MaxVersionLevel}, deadline)
			if a.ErrorCode, a.ErrorMessage = result.Error, text(result.Message); a.ErrorCode != wire.ErrNone {
				return a
			}
		}
		if c.Version < 2 {
			r := wire.NewUpdateFeaturesResponseUpdatableFeatureResult()
			r.Feature, r.ErrorMessage = u.Feature, text("NONE")
			a.Results = append(a.Results, r)
		}
	}
	return a
}
