"""The dossier service's routes: events in; dossiers, log, feed and reference data out."""

from collections.abc import Mapping
from http import HTTPStatus

from fastapi import APIRouter

from services.dossier import wire
from services.dossier.api import checkpoint, edge, events, feed, portal, reads, reference
from services.dossier.intake import Overloaded
from services.dossier.state import State
from services.kit import body, door, parameters
from services.kit.problems import Problem

_UNSUPPORTED = Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "Kiểu nội dung không được hỗ trợ.")

PROBLEMS: Mapping[type[Exception], Problem] = {
    door.NotInternal: Problem(HTTPStatus.FORBIDDEN, "not_internal", "Dịch vụ này chỉ trả lời qua cổng."),
    wire.NotJson: Problem(HTTPStatus.BAD_REQUEST, "not_json", "Nội dung gửi lên không phải JSON hợp lệ."),
    wire.TooManyEvents: Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_many_events", "Mỗi yêu cầu chứa tối đa 5.000 sự kiện."
    ),
    wire.EventTooLarge: Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "event_too_large", "Một sự kiện chiếm tối đa 64 KiB."
    ),
    body.TooLarge: Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "body_too_large",
        "Nội dung gửi lên vượt quá 5 MB, hoặc 10 MB sau khi giải nén.",
    ),
    body.Corrupt: Problem(HTTPStatus.BAD_REQUEST, "body_corrupt", "Nội dung nén bị hỏng hoặc bị ngắt giữa chừng."),
    body.UnknownEncoding: _UNSUPPORTED,
    edge.UnsupportedMediaType: _UNSUPPORTED,
    feed.OtherProvince: Problem(HTTPStatus.FORBIDDEN, "other_province", "Khoá truy cập thuộc về tỉnh khác."),
    reads.UnknownDossier: Problem(HTTPStatus.NOT_FOUND, "unknown_dossier", "Không tìm thấy hồ sơ."),
    reads.ForbiddenUnit: Problem(
        HTTPStatus.FORBIDDEN, "unit_forbidden", "Đơn vị không thuộc phạm vi của khoá truy cập."
    ),
    reads.UnknownCursor: Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, "unknown_cursor", "Con trỏ trang không hợp lệ hoặc thuộc về danh sách khác."
    ),
    feed.PositionAhead: Problem(
        HTTPStatus.CONFLICT,
        "position_ahead",
        "Vị trí này chưa được ghi: dữ liệu đã được khôi phục về thời điểm trước; hãy đọc lại từ đầu.",
    ),
    parameters.UnknownPosition: Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "unknown_position", "Vị trí không hợp lệ."),
    edge.ProvinceOnly: Problem(
        HTTPStatus.FORBIDDEN, "province_only", "Chỉ khoá truy cập của toàn tỉnh được thực hiện thao tác này."
    ),
    Overloaded: Problem(HTTPStatus.SERVICE_UNAVAILABLE, "overloaded", "Hệ thống đang bận; hãy gửi lại.", 1),
}


def router(state: State) -> APIRouter:
    """Return all routes of the service over `state`."""
    routes = APIRouter()
    for part in (checkpoint, events, feed, portal, reads, reference):
        routes.include_router(part.router(state))
    return routes
