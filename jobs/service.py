"""Operations on jobs for pages, routes and command line. Every function raises QueueUnavailable without Redis.

Each is given to `permitted` (jobs/access/rules.py) with what its parameters name: that is the one place where it is
checked who may do what. tests/jobs/test_permitted.py fails for an operation that is not.
"""

from __future__ import annotations

from jobs.access import projects as _projects
from jobs.access.audit import Act
from jobs.access.held import HeldKind
from jobs.access.keys import Key
from jobs.access.keys import make_key as _make_key
from jobs.access.keys import my_keys as _my_keys
from jobs.access.keys import revoke_key as _revoke_key
from jobs.access.links import INVITATION_DAYS, Link
from jobs.access.projects import Member, Project, Role
from jobs.access.rights import Right
from jobs.access.rules import each as _each
from jobs.access.rules import may_change as _may_change
from jobs.access.rules import one as _one
from jobs.access.rules import only_visible as _only_visible
from jobs.access.rules import permitted as _permitted
from jobs.access.rules import with_sign_in as _with_sign_in
from jobs.access.viewer import Viewer, viewer
from jobs.comparison import comparisons as _comparisons
from jobs.comparison import series as _series
from jobs.comparison.document import ComparedAnalysis, JobComparison, JobSeries, OrderedRows, TrendRow
from jobs.control import cancelling as _cancelling
from jobs.control import copying as _copying
from jobs.control import editing as _editing
from jobs.control import prolonging as _prolonging
from jobs.control import retrying as _retrying
from jobs.control import reviewing as _reviewing
from jobs.control import row_editing as _row_editing
from jobs.control import sharing as _sharing
from jobs.control import study_deleting as _study_deleting
from jobs.control import versioning as _versioning
from jobs.control.prolonging import longest_expiry
from jobs.control.sharing import Me, Membership, NewLink
from jobs.intake import scans as _scans
from jobs.intake import submission as _submission
from jobs.intake.form_receiver import UPLOAD_FORM, FormKind, FormReceiver
from jobs.intake.scans import PendingScan
from jobs.state.passes import PASS_LIFETIME_S, accept_pass, issue_pass, revoke_pass, revoke_passes
from jobs.state.refusals import refusals
from jobs.state.statistics import Stats
from jobs.state.workers import WorkerState
from jobs.studies import service as studies
from jobs.studies.owner import held_study as _held_study
from jobs.views import reading as _reading
from jobs.views import versions as _versions
from jobs.views.activity import Activity, DayCount, ModelTimes, activity
from jobs.views.health import Health, health
from jobs.views.metrics import Metrics, QueueMetrics, metrics
from jobs.views.models import ModelFacts, ShapeModelFacts, model_picture, models, shape_models, validations
from jobs.views.reading import mine, stats
from jobs.views.versions import Version

_job, _jobs = _one(_reading.held_job), _each(_reading.held_job)
_scan, _study = _one(_scans.held_scan), _one(_held_study)
_project, _link = _one(_sharing.held_project), _one(_sharing.about_link)

get = _permitted(Act.SAW, job_id=_job)(_reading.get)
measurements = _permitted(Act.SAW, job_id=_job)(_reading.measurements)
results_folder = _permitted(Act.SAW, job_id=_job)(_reading.results_folder)
view_file = _permitted(Act.SAW, job_id=_job)(_reading.view_file)
versions = _permitted(Act.SAW, job_id=_job)(_versions.versions)
can_retry = _permitted(Act.SAW, job_id=_job)(_retrying.can_retry)
archive = _permitted(Act.EXPORTED, job_id=_job)(_reading.archive)
artifact = _permitted(Act.EXPORTED, job_id=_job)(_reading.artifact)
editing_archive = _permitted(Act.EXPORTED, job_id=_job)(_editing.editing_archive)
recent = _only_visible(_reading.held_job)(_reading.recent)

comparison = _permitted(Act.SAW, first_id=_job, second_id=_job)(_comparisons.comparison)
comparison_view = _permitted(Act.SAW, first_id=_job, second_id=_job)(_comparisons.comparison_view)
comparison_table = _permitted(Act.EXPORTED, first_id=_job, second_id=_job)(_comparisons.comparison_table)
series = _permitted(Act.SAW, job_ids=_jobs)(_series.series)
series_view = _permitted(Act.SAW, job_ids=_jobs)(_series.series_view)
series_table = _permitted(Act.EXPORTED, job_ids=_jobs)(_series.series_table)

cancel = _permitted(Act.CHANGED, job_id=_job)(_cancelling.cancel)
retry = _permitted(Act.CHANGED, job_id=_job)(_retrying.retry)
copy = _permitted(Act.CHANGED, makes=HeldKind.JOB, job_id=_job)(_copying.copy)
prolong = _permitted(Act.CHANGED, job_id=_job)(_prolonging.prolong)
set_review = _permitted(Act.CHANGED, job_id=_job)(_reviewing.set_review)
save_version = _permitted(Act.CHANGED, makes=HeldKind.JOB, job_id=_job)(_versioning.save_version)
save_label_map = _permitted(Act.CHANGED, makes=HeldKind.JOB, job_id=_job)(_versioning.save_label_map)
restore_version = _permitted(Act.CHANGED, makes=HeldKind.JOB, job_id=_job)(_versioning.restore_version)
edit_row = _permitted(Act.CHANGED, makes=HeldKind.JOB, study_id=_study)(_row_editing.edit_row)
delete = _permitted(Act.DELETED, job_id=_job)(_cancelling.delete)
delete_study = _permitted(Act.DELETED, study_id=_study)(_study_deleting.delete_study)
delete_versions = _permitted(Act.DELETED, job_id=_job)(_cancelling.delete_versions)

receive_form = _permitted(Act.CREATED)(_submission.receive_form)
submit_form = _permitted(Act.CREATED, makes=HeldKind.JOB)(_submission.submit_form)
submit_stream = _permitted(Act.CREATED, makes=HeldKind.JOB)(_submission.submit_stream)
keep_form = _permitted(Act.CREATED, makes=HeldKind.SCAN)(_scans.keep_form)
pending_scan = _permitted(Act.SAW, scan_id=_scan)(_scans.pending_scan)
choose_series = _permitted(Act.CHANGED, scan_id=_scan)(_scans.choose_series)
submit_scan = _permitted(Act.CHANGED, makes=HeldKind.JOB, scan_id=_scan)(_scans.submit_scan)
discard_scan = _permitted(Act.DELETED, scan_id=_scan)(_scans.discard_scan)

share_job = _permitted(Act.SHARED, needs_sign_in=True, job_id=_job)(_sharing.share_job)
share_study = _permitted(Act.SHARED, needs_sign_in=True, study_id=_study)(_sharing.share_study)
job_links = _permitted(Act.SAW, needs_sign_in=True, right=Right.CHANGE, job_id=_job)(_sharing.job_links)
study_links = _permitted(Act.SAW, needs_sign_in=True, right=Right.CHANGE, study_id=_study)(_sharing.study_links)
study_owner = _permitted(Act.SAW, needs_sign_in=True, study_id=_study)(_sharing.study_owner)
end_link = _permitted(Act.SHARED, needs_sign_in=True, link_id=_link)(_sharing.end_link)
move_job = _permitted(Act.SHARED, needs_sign_in=True, job_id=_job, project_id=_sharing.target)(_sharing.move_job)
move_study = _permitted(Act.SHARED, needs_sign_in=True, study_id=_study, project_id=_sharing.target)(
    _sharing.move_study
)

create_project = _permitted(Act.CREATED, makes=HeldKind.PROJECT, needs_sign_in=True)(_projects.create_project)
members = _permitted(Act.SAW, needs_sign_in=True, project_id=_project)(_projects.members)
set_role = _permitted(Act.SHARED, needs_sign_in=True, project_id=_project)(_projects.set_role)
remove_member = _permitted(Act.SHARED, needs_sign_in=True, project_id=_project)(_projects.remove_member)
leave_project = _permitted(Act.SHARED, right=Right.SEE, needs_sign_in=True, project_id=_project)(_sharing.leave_project)
invite = _permitted(Act.SHARED, needs_sign_in=True, project_id=_project)(_sharing.invite)
invitations = _permitted(Act.SAW, right=Right.CHANGE, needs_sign_in=True, project_id=_project)(_sharing.invitations)
remove_project = _permitted(Act.DELETED, needs_sign_in=True, project_id=_project)(_sharing.remove_project)

me = _with_sign_in(_sharing.me)
open_link = _with_sign_in(_sharing.open_link)
make_key = _permitted(Act.CREATED, needs_sign_in=True)(_make_key)
my_keys = _permitted(Act.CREATED, needs_sign_in=True)(_my_keys)
revoke_key = _permitted(Act.CREATED, needs_sign_in=True)(_revoke_key)


def may_change_job(job_id: str) -> bool:
    """Whether the viewer may change a job, for what a page offers; the operations check it again."""
    return _may_change(_reading.held_job, job_id)


def may_change_study(study_id: str) -> bool:
    """The same for a study."""
    return _may_change(_held_study, study_id)


__all__ = [
    "INVITATION_DAYS",
    "PASS_LIFETIME_S",
    "UPLOAD_FORM",
    "Activity",
    "ComparedAnalysis",
    "DayCount",
    "FormKind",
    "FormReceiver",
    "Health",
    "JobComparison",
    "JobSeries",
    "Key",
    "Link",
    "Me",
    "Member",
    "Membership",
    "Metrics",
    "ModelFacts",
    "ModelTimes",
    "NewLink",
    "OrderedRows",
    "PendingScan",
    "Project",
    "QueueMetrics",
    "Role",
    "ShapeModelFacts",
    "Stats",
    "TrendRow",
    "Version",
    "Viewer",
    "WorkerState",
    "accept_pass",
    "activity",
    "archive",
    "artifact",
    "can_retry",
    "cancel",
    "choose_series",
    "comparison",
    "comparison_table",
    "comparison_view",
    "copy",
    "create_project",
    "delete",
    "delete_study",
    "delete_versions",
    "discard_scan",
    "edit_row",
    "editing_archive",
    "end_link",
    "get",
    "health",
    "invitations",
    "invite",
    "issue_pass",
    "job_links",
    "keep_form",
    "leave_project",
    "longest_expiry",
    "make_key",
    "may_change_job",
    "may_change_study",
    "me",
    "measurements",
    "members",
    "metrics",
    "mine",
    "model_picture",
    "models",
    "move_job",
    "move_study",
    "my_keys",
    "open_link",
    "pending_scan",
    "prolong",
    "receive_form",
    "recent",
    "refusals",
    "remove_member",
    "remove_project",
    "restore_version",
    "results_folder",
    "retry",
    "revoke_key",
    "revoke_pass",
    "revoke_passes",
    "save_label_map",
    "save_version",
    "series",
    "series_table",
    "series_view",
    "set_review",
    "set_role",
    "shape_models",
    "share_job",
    "share_study",
    "stats",
    "studies",
    "study_links",
    "study_owner",
    "submit_form",
    "submit_scan",
    "submit_stream",
    "validations",
    "versions",
    "view_file",
    "viewer",
]
