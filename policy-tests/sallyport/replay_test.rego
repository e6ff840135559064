package sallyport.replay_test

import data.sallyport.fixtures
import data.sallyport.replay

found(changes) := findings if {
	call := fixtures.changed(changes)
	findings := replay.findings with input as call with data.settings as fixtures.settings
}

test_first_use_finds_nothing if {
	count(found({})) == 0
}

test_second_use_is_refused_with_an_alert if {
	findings := found({"replay": {"seen": true, "same_network": true}})
	fixtures.codes(findings) == {"replay.seen"}
	some finding in findings
	finding.obligations == [{"type": "alert", "severity": "high"}]
}

test_second_use_elsewhere_ends_the_session if {
	findings := found({"replay": {"seen": true, "same_network": false}})
	fixtures.codes(findings) == {"replay.seen", "replay.seen_elsewhere"}
	obligations := {o | some o in findings[_].obligations}
	{"type": "revoke_session"} in obligations
}

test_lost_history_rotates if {
	findings := found({"usage": {"forgotten": true}})
	fixtures.codes(findings) == {"replay.history_lost"}
	fixtures.grades(findings) == {"rotate"}
}

test_destructive_call_needs_a_source if {
	fixtures.codes(found({"tool": {"effect": "destructive"}, "replay": {"source": null}})) == {"replay.source_missing"}
}

test_read_does_not_need_a_source if {
	count(found({"replay": {"source": null}})) == 0
}

test_conversation_without_history_reads_and_writes if {
	count(found({"replay": {"history": "lost"}})) == 0
	count(found({"tool": {"effect": "write"}, "replay": {"history": "lost"}})) == 0
}

test_conversation_without_history_does_nothing_destructive if {
	findings := found({"tool": {"effect": "destructive"}, "replay": {"history": "lost"}})
	fixtures.codes(findings) == {"replay.history_lost"}
	fixtures.grades(findings) == {"deny"}
}

test_id_from_before_the_loss_is_denied_without_an_alert if {
	findings := found({"replay": {"history": "lost", "seen": true, "first_seen_seconds": null}})
	fixtures.codes(findings) == {"replay.history_lost"}
	fixtures.grades(findings) == {"deny"}
	every finding in findings {
		count(finding.obligations) == 0
	}
}

test_id_that_was_used_after_the_loss_is_a_replay if {
	call := {"replay": {"history": "lost", "seen": true, "first_seen_seconds": 2, "same_network": true}}
	fixtures.codes(found(call)) == {"replay.seen"}
}
