"""The metrics service's routes: counts and rates of any period, what they mean, and the dossiers behind them."""

from collections.abc import Mapping
from http import HTTPStatus

import httpx
from fastapi import APIRouter

from services.kit import door, parameters
from services.kit.problems import Problem
from services.metrics import past, publication, report
from services.metrics.api import (
    answering,
    definitions,
    forecast,
    forms,
    lineage,
    public,
    questions,
    rates,
    reports,
    sync,
)
from services.metrics.domain import periods
from services.metrics.formats import negotiation
from services.metrics.state import State

_UNPROCESSABLE = HTTPStatus.UNPROCESSABLE_ENTITY

PROBLEMS: Mapping[type[Exception], Problem] = {
    door.NotInternal: Problem(HTTPStatus.FORBIDDEN, "not_internal", "Dịch vụ này chỉ trả lời qua cổng."),
    periods.InvalidPeriod: Problem(_UNPROCESSABLE, "invalid_period", "Kỳ báo cáo không hợp lệ."),
    parameters.UnknownPosition: Problem(_UNPROCESSABLE, "unknown_position", "Vị trí không hợp lệ."),
    report.UnknownUnit: Problem(_UNPROCESSABLE, "unknown_unit", "Không có đơn vị này trong kỳ báo cáo."),
    rates.UnknownRate: Problem(HTTPStatus.NOT_FOUND, "unknown_rate", "Không có chỉ số này."),
    lineage.NotCountedByDossier: Problem(_UNPROCESSABLE, "no_dossiers", "Chỉ số này không được cộng từ từng hồ sơ."),
    negotiation.NotOffered: Problem(HTTPStatus.NOT_ACCEPTABLE, "format_not_offered", "Không có định dạng này."),
    questions.ForbiddenUnit: Problem(
        HTTPStatus.FORBIDDEN, "unit_forbidden", "Đơn vị không thuộc phạm vi của khoá truy cập."
    ),
    public.PublicOnly: Problem(HTTPStatus.FORBIDDEN, "public_only", "Khoá truy cập chỉ xem được số liệu công khai."),
    public.OtherProvince: Problem(HTTPStatus.FORBIDDEN, "other_province", "Khoá truy cập thuộc về tỉnh khác."),
    publication.NotPublic: Problem(_UNPROCESSABLE, "not_public", "Số liệu công khai không được hỏi theo cách này."),
    past.InFuture: Problem(_UNPROCESSABLE, "as_of_in_future", "Thời điểm được hỏi chưa tới."),
    past.TooFar: Problem(
        _UNPROCESSABLE, "as_of_too_far", "Từ thời điểm được hỏi đã có quá nhiều hồ sơ thay đổi để tính lại."
    ),
    forecast.DayAhead: Problem(_UNPROCESSABLE, "day_ahead", "Ngày được hỏi chưa tới."),
    reports.UnknownReport: Problem(HTTPStatus.NOT_FOUND, "unknown_report", "Không tìm thấy báo cáo."),
    reports.KeyReused: Problem(
        _UNPROCESSABLE, "idempotency_key_reused", "Idempotency-Key này đã dùng cho một báo cáo khác."
    ),
    httpx.HTTPError: Problem(
        HTTPStatus.SERVICE_UNAVAILABLE, "service_unavailable", "Dịch vụ tạm thời không trả lời; hãy gửi lại.", 1
    ),
    answering.NotCountedYet: Problem(
        HTTPStatus.SERVICE_UNAVAILABLE, "not_counted_yet", "Số liệu chưa được tính đến vị trí này; hãy hỏi lại.", 1
    ),
}
"""The one place where the errors of this service get their status."""


def router(state: State) -> APIRouter:
    """Return the service's routes over `state`."""
    routes = APIRouter()
    for module in (rates, definitions, lineage, forms, reports, forecast, sync):
        routes.include_router(module.router(state))
    return routes
